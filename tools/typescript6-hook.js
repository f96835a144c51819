// node --import this: whoever asks for `typescript` gets the `typescript6` of package.json, which still has the compiler API.
import { registerHooks } from 'node:module';
registerHooks({
    resolve: (specifier, context, next) => next(specifier.replace(/^typescript(?=$|\/)/, 'typescript6'), context),
});
