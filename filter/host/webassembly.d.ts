/** The part of the WebAssembly JavaScript interface that the tests use; TypeScript has it only among the browser's types. */
declare namespace WebAssembly {
  type Imports = Record<string, Record<string, (...args: never[]) => unknown>>;
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): { module: string; name: string; kind: string }[];
    static exports(module: Module): { name: string; kind: string }[];
  }
  class Instance {
    constructor(module: Module, imports: Imports);
    readonly exports: Record<string, unknown>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
}
