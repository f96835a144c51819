// Walks a scanned document and notes which bytes must go. Duplicate keys are each looked at, and where they disagree the
// stricter reading counts: what the API server would make of them is not for the record to guess.
import { JsonDocument, type JsonName, jsonName, type Node, skipSpace } from '../lib/json-document.ts';
import { select, stepMatches } from '../lib/json-path.ts';
import { type Edit, splice } from '../lib/json-splice.ts';
import { announcesCredential, cutSpans, type Span } from './command.ts';
import { REDACTED, type RemovedValues } from './scrub.ts';
import type { FieldRule } from './settings.ts';
import { redactUri } from './uri.ts';

/** Deeper than any API type goes; what is deeper is not looked at but replaced as a whole. */
const LOOK_DEPTH = 500;
/** Shorter strings in there are mostly names. */
const DEEP_CHARS = 8;
/** An object that claims more different apiVersions than this could be of any. */
const MAX_VERSIONS = 8;
/** A manifest inside a manifest inside a manifest is nobody's. */
const MAX_MANIFESTS = 3;

export interface Rules {
  readonly fields: readonly FieldRule[];
  /** Names of the resources that they and what is known of Secrets are about. */
  readonly resources: readonly JsonName[];
  readonly manifestAnnotations: ReadonlySet<string>;
  readonly search: (text: string) => readonly Span[];
}

/** What the request says about an object that need not say it itself: a patch has no kind. */
export interface Hint {
  readonly secret: boolean;
  readonly fields: readonly FieldRule[];
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

export const NO_HINT: Hint = { secret: false, fields: [], namespace: undefined, name: undefined };

export const KIND = jsonName('kind');
export const API_VERSION = jsonName('apiVersion');
export const METADATA = jsonName('metadata');
const NAME = jsonName('name');
const NAMESPACE = jsonName('namespace');
const DATA = jsonName('data');
const STRING_DATA = jsonName('stringData');
const ITEMS = jsonName('items');
const ANNOTATIONS = jsonName('annotations');
const MESSAGE = jsonName('message');
const COMMAND = jsonName('command');
const PATH = jsonName('path');
const VALUE = jsonName('value');

/** Members of a Secret that hold nothing secret. Everything else in one goes: a misspelled stringData holds what it would. */
const PLAIN_IN_SECRET: readonly JsonName[] = [KIND, API_VERSION, jsonName('type'), jsonName('immutable')];

/** Members of a JSON Patch's operation that hold no value. */
const PLAIN_IN_OPERATION: readonly JsonName[] = [jsonName('op'), jsonName('from')];

const REDACTED_BYTES = Buffer.from(JSON.stringify(REDACTED));

/** A manifest that is not JSON, of something that holds a credential. */
const YAML_CREDENTIAL = /\bkind["']?[ \t]{0,9}:[ \t]{0,9}["']?(?:Secret|TokenRe)/;

/** What an object is, by its own word or its list's. */
interface Identity {
  readonly kind: string;
  readonly apiVersion: string | undefined;
}

export class Walk {
  readonly edits: Edit[] = [];
  /** Set when the document is, or has in it, a Secret. */
  secretSeen = false;
  readonly #doc: JsonDocument;
  readonly #rules: Rules;
  readonly #removed: RemovedValues;
  readonly #manifests: number;
  /** Texts that people or programs wrote about the request: they may quote what it held. */
  readonly #prose: Node[] = [];

  /** `manifests`: how many manifests in annotations are around this one. */
  constructor(doc: JsonDocument, rules: Rules, removed: RemovedValues, manifests = 0) {
    this.#doc = doc;
    this.#rules = rules;
    this.#removed = removed;
    this.#manifests = manifests;
  }

  /** An API object, a patch of one, or a text that may be either. */
  object(node: Node, hint: Hint): void {
    const doc = this.#doc;
    if (doc.isString(node)) this.#textBody(node, hint);
    else if (doc.isArray(node)) this.#jsonPatch(node, hint);
    else this.visit(node, 1, hint.secret, hint);
  }

  /** Anything: looks for objects that tell what they are. */
  visit(node: Node, depth: number, inSecret = false, hint = NO_HINT, list?: Identity): void {
    const doc = this.#doc;
    if (doc.isObject(node)) {
      if (depth > LOOK_DEPTH) this.#replaceDeep(node);
      else this.#visitObject(node, depth, inSecret, hint, list);
    } else if (doc.isArray(node)) {
      if (depth > LOOK_DEPTH) this.#replaceDeep(node);
      else this.#elements(node, (element) => this.visit(element, depth + 1, inSecret, hint, list));
    }
  }

  /** The values that these rules name in an object. */
  fields(node: Node, rules: readonly FieldRule[]): void {
    for (const rule of rules) {
      for (const path of rule.paths) select(this.#doc, node, path, (found) => this.#redactAll(found, 1, false));
    }
  }

  /** A member of an object that is no Secret's data. */
  member(key: Node, value: Node, depth: number, inSecret = false): void {
    const doc = this.#doc;
    if (doc.isString(value)) {
      if (doc.is(key, MESSAGE)) this.#prose.push(value);
      return;
    }
    if (doc.is(key, ANNOTATIONS) && doc.isObject(value)) {
      this.#members(value, (name, annotation) => this.#annotation(name, annotation, inSecret));
    }
    this.visit(value, depth + 1, inSecret);
  }

  /** Credentials in the request URI, or in the path of a proxied request. */
  uri(node: Node, session: boolean): void {
    const uri = this.#doc.text(node);
    if (uri === undefined || !uri.includes('?')) return;
    const kept = redactUri(uri, session, this.#textRules);
    if (kept !== uri) this.#replace(node, kept);
  }

  /** Credentials in any text of an open session. */
  commandText(node: Node): void {
    const text = this.#doc.text(node);
    if (text === undefined) return;
    const kept = cutSpans(text, this.#rules.search(text), REDACTED, this.#textRules.removed);
    if (kept !== text) this.#replace(node, kept);
  }

  /** To be called last: quotations of what was removed, in messages and annotations. */
  scrubProse(): void {
    if (this.#removed.empty || this.#prose.length === 0) return;
    const scrubber = this.#removed.scrubber();
    for (const node of this.#prose) {
      const text = this.#doc.text(node);
      if (text === undefined) continue;
      const kept = scrubber.text(text);
      if (kept !== text) this.#replace(node, kept);
    }
  }

  get #textRules() {
    return { search: this.#rules.search, removed: (value: string) => this.#removed.add(value) };
  }

  #visitObject(node: Node, depth: number, inSecret: boolean, hint: Hint, list: Identity | undefined): void {
    const identities = this.#identities(node, list);
    const claimed = identities.length === 0 && hint.secret;
    const secret = claimed || identities.some(isSecret);
    if (secret) this.secretSeen = true;
    // An object reference has a kind, too, and a name that the record needs; it has no metadata.
    const whole = secret && (claimed || hint.secret || list !== undefined || this.#has(node, METADATA));
    this.fields(node, this.#fieldRules(node, identities, hint));
    const listed = identities.find(({ kind }) => kind.endsWith('List') && kind.length > 4);
    const session = identities.find(({ kind }) => kind.endsWith('ExecOptions') || kind.endsWith('ProxyOptions'));
    this.#members(node, (key, value) => {
      if (session !== undefined) this.#sessionOption(key, value);
      if (this.#isData(key) && (secret || hint.secret)) {
        this.#redactAll(value, depth + 1, this.#doc.is(key, DATA));
      } else if (listed !== undefined && this.#doc.is(key, ITEMS)) {
        const element = { kind: listed.kind.slice(0, -4), apiVersion: listed.apiVersion };
        this.visit(value, depth + 1, inSecret, NO_HINT, element);
      } else if (whole && !this.#doc.is(key, METADATA)) {
        const plain = PLAIN_IN_SECRET.some((name) => this.#doc.is(key, name));
        if (!plain || this.#isContainer(value)) this.#redactAll(value, depth + 1, false);
      } else {
        this.member(key, value, depth, inSecret || secret);
      }
    });
  }

  #annotation(key: Node, value: Node, inSecret: boolean): void {
    if (!this.#doc.isString(value)) return;
    if (this.#rules.manifestAnnotations.has(this.#doc.text(key) ?? '')) this.#manifest(value, inSecret);
    else this.#prose.push(value);
  }

  /** An annotation that holds the object as somebody applied it. One of a Secret goes whole, as does what is not JSON. */
  #manifest(node: Node, inSecret: boolean): void {
    const text = this.#doc.text(node) ?? '';
    if (text === '') return;
    const inner = this.#manifests < MAX_MANIFESTS ? this.#inner(text, { ...NO_HINT, secret: inSecret }) : undefined;
    if (inner === undefined) this.#removed.add(text);
    const kept = inner === undefined || inSecret || inner.secretSeen ? REDACTED : inner.text;
    if (kept !== text) this.#replace(node, kept);
  }

  /** JSON inside a text, redacted; undefined when it is not JSON. */
  #inner(text: string, hint: Hint): { readonly text: string; readonly secretSeen: boolean } | undefined {
    const doc = new JsonDocument();
    const bytes = Buffer.from(text);
    try {
      if (skipSpace(bytes, doc.scan(bytes)) < bytes.length) return undefined;
    } catch {
      return undefined;
    }
    const walk = new Walk(doc, this.#rules, this.#removed, this.#manifests + 1);
    walk.object(0, hint);
    walk.scrubProse();
    return {
      text: walk.edits.length === 0 ? text : splice(bytes, walk.edits).toString('utf8'),
      secretSeen: walk.secretSeen,
    };
  }

  #sessionOption(key: Node, value: Node): void {
    if (this.#doc.is(key, PATH)) this.uri(value, true);
    if (!this.#doc.is(key, COMMAND)) return;
    let announced = false;
    this.#elements(value, (argument) => {
      const text = this.#doc.text(argument);
      if (text === undefined) return;
      if (announced && !text.startsWith('-')) this.#redactAll(argument, 0, false);
      else this.commandText(argument);
      announced = announcesCredential(text);
    });
  }

  /** A body that is a text: perhaps JSON, perhaps base64 of it, perhaps YAML. All of it goes when anything in it should. */
  #textBody(node: Node, hint: Hint): void {
    const text = this.#doc.text(node) ?? '';
    if (text === '') return;
    const readings = [text];
    if (/^[\w+/-]+={0,2}$/.test(text)) readings.push(Buffer.from(text, 'base64').toString('utf8'));
    const suspect = readings.some((reading) => {
      const inner = this.#manifests < MAX_MANIFESTS ? this.#inner(reading, hint) : undefined;
      return inner === undefined ? YAML_CREDENTIAL.test(reading) : inner.secretSeen || inner.text !== reading;
    });
    if (!suspect && !hint.secret && hint.fields.length === 0) return;
    this.#removed.add(text);
    this.#replace(node, REDACTED);
  }

  /** RFC 6902. An operation whose path cannot be told may be about anything. */
  #jsonPatch(array: Node, hint: Hint): void {
    const concerned = hint.secret || hint.fields.length > 0;
    this.#elements(array, (operation) => {
      const values: Node[] = [];
      const paths: (string | undefined)[] = [];
      if (this.#doc.isObject(operation)) {
        this.#members(operation, (key, value) => {
          if (this.#doc.is(key, VALUE)) values.push(value);
          else if (this.#doc.is(key, PATH)) paths.push(this.#doc.text(value));
          // A misspelled value holds what it would.
          else if (!PLAIN_IN_OPERATION.some((name) => this.#doc.is(key, name)) && concerned)
            this.#redactAll(value, 1, false);
        });
        // It may be no operation at all, but an object that somebody sent as one.
        this.visit(operation, 1, hint.secret);
      } else if (concerned) this.#redactAll(operation, 1, false);
      const [path] = paths;
      const segments = paths.length === 1 ? pointerSegments(path) : undefined;
      for (const value of values) this.#patchValue(value, segments, hint);
    });
  }

  #patchValue(value: Node, segments: readonly string[] | undefined, hint: Hint): void {
    const [first] = segments ?? [];
    if (segments === undefined && (hint.secret || hint.fields.length > 0)) {
      this.#redactAll(value, 1, false);
      return;
    }
    if (segments === undefined || first === undefined) {
      this.object(value, hint);
      return;
    }
    if (hint.secret && first !== METADATA.text && !PLAIN_IN_SECRET.some((name) => name.text === first)) {
      this.#redactAll(value, 1, first === DATA.text);
      return;
    }
    for (const path of hint.fields.flatMap((rule) => rule.paths)) {
      const shared = Math.min(path.length, segments.length);
      if (!path.slice(0, shared).every((step, i) => stepMatches(step, segments[i] ?? ''))) continue;
      select(this.#doc, value, path.slice(segments.length), (found) => this.#redactAll(found, 1, false));
    }
    const annotation = this.#rules.manifestAnnotations.has(segments.at(-1) ?? '');
    if (annotation && this.#doc.isString(value)) this.#manifest(value, hint.secret);
    else if (segments.at(-1) === ANNOTATIONS.text && this.#doc.isObject(value)) {
      this.#members(value, (name, text) => this.#annotation(name, text, hint.secret));
    }
    this.visit(value, 1, hint.secret);
  }

  /** Every kind the object claims to be, with every apiVersion; that of its list when it claims none. */
  #identities(node: Node, list: Identity | undefined): readonly Identity[] {
    const kinds = new Set<string>();
    const versions = new Set<string>();
    this.#members(node, (key, value) => {
      if (this.#doc.is(key, KIND)) kinds.add(this.#doc.text(value) ?? '');
      else if (this.#doc.is(key, API_VERSION)) versions.add(this.#doc.text(value) ?? '');
    });
    if (kinds.size === 0) return list === undefined ? [] : [list];
    // Of hundreds the pairs would take all memory; a kind without a version is the stricter reading.
    if (versions.size === 0 || versions.size > MAX_VERSIONS) {
      return [...kinds].map((kind) => ({ kind, apiVersion: undefined }));
    }
    return [...kinds].flatMap((kind) => [...versions].map((apiVersion) => ({ kind, apiVersion })));
  }

  #fieldRules(node: Node, identities: readonly Identity[], hint: Hint): readonly FieldRule[] {
    const named = this.#rules.fields.filter((rule) => identities.some((identity) => isOfKind(rule, identity)));
    const rules = named.length === 0 ? hint.fields : [...new Set([...named, ...hint.fields])];
    if (rules.length === 0) return rules;
    const metadata = this.#doc.find(node, METADATA);
    const name = this.#doc.text(this.#doc.find(metadata, NAME)) ?? hint.name;
    const namespace = this.#doc.text(this.#doc.find(metadata, NAMESPACE)) ?? hint.namespace;
    // What an object does not say about itself could be either.
    return rules.filter((rule) => concerns(rule.name, name) && concerns(rule.namespace, namespace));
  }

  /** Every scalar but null in a value; keys stay. */
  #redactAll(node: Node, depth: number, base64: boolean): void {
    const doc = this.#doc;
    if (this.#isContainer(node) && depth > LOOK_DEPTH) this.#replaceDeep(node);
    else if (doc.isObject(node)) this.#members(node, (_, value) => this.#redactAll(value, depth + 1, base64));
    else if (doc.isArray(node)) this.#elements(node, (element) => this.#redactAll(element, depth + 1, base64));
    else if (doc.type(node) !== 'null') {
      this.#removed.add(doc.text(node) ?? doc.bytes.toString('latin1', doc.start(node), doc.end(node)), base64);
      this.#replace(node, REDACTED);
    }
  }

  /** What is too deep to be looked at: any of its strings may be a value. */
  #replaceDeep(node: Node): void {
    const end = this.#doc.after(node);
    for (let inner = node; inner < end; inner++) {
      const text = this.#doc.text(inner) ?? '';
      if (text.length >= DEEP_CHARS) this.#removed.add(text);
    }
    this.#replace(node, '[redacted: nested too deeply]');
  }

  #replace(node: Node, text: string): void {
    const doc = this.#doc;
    const bytes = text === REDACTED ? REDACTED_BYTES : Buffer.from(JSON.stringify(text));
    this.edits.push({ start: doc.start(node), end: doc.end(node), bytes });
  }

  #isContainer(node: Node): boolean {
    return this.#doc.isObject(node) || this.#doc.isArray(node);
  }

  #isData(key: Node): boolean {
    return this.#doc.is(key, DATA) || this.#doc.is(key, STRING_DATA);
  }

  #has(object: Node, name: JsonName): boolean {
    return this.#doc.find(object, name) >= 0;
  }

  #members(object: Node, each: (key: Node, value: Node) => void): void {
    const end = this.#doc.after(object);
    for (let key = object + 1; key < end; key = this.#doc.after(key + 1)) each(key, key + 1);
  }

  #elements(array: Node, each: (element: Node) => void): void {
    if (!this.#doc.isArray(array)) return;
    const end = this.#doc.after(array);
    for (let element = array + 1; element < end; element = this.#doc.after(element)) each(element);
  }
}

function isSecret({ kind, apiVersion }: Identity): boolean {
  return kind === 'Secret' && (apiVersion === undefined || apiVersion === 'v1' || apiVersion === '');
}

function isOfKind(rule: FieldRule, { kind, apiVersion }: Identity): boolean {
  if (rule.kind !== kind) return false;
  if (rule.group === undefined || apiVersion === undefined) return true;
  const slash = apiVersion.indexOf('/');
  return rule.group === (slash < 0 ? '' : apiVersion.slice(0, slash));
}

function concerns(wanted: string | undefined, actual: string | undefined): boolean {
  return wanted === undefined || actual === undefined || wanted === actual;
}

/** RFC 6901; undefined when it is not a JSON Pointer. */
function pointerSegments(pointer: string | undefined): string[] | undefined {
  if (pointer === undefined) return undefined;
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}
