// The part of the WebAssembly JavaScript interface that the policy host uses: TypeScript has it only in the DOM
// library, which would also bring a browser's globals into scope.
// biome-ignore lint/style/noNamespace: the global is one
declare namespace WebAssembly {
  class Module {
    private readonly brand;
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static imports(module: Module): { module: string; name: string; kind: string }[];
  }
  class Instance {
    constructor(module: Module, imports: Record<string, ModuleImports>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
  }
  class RuntimeError extends Error {}
  type ModuleImports = Record<string, Memory | ((...args: number[]) => number | undefined)>;
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
