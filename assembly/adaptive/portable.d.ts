/**
 * What AssemblyScript has and TypeScript has not, so that `tsc` can check the files of this folder, which the build
 * compiles to WASM and the program imports as TypeScript. The types are erased; the functions are called in WASM only.
 */
type f64 = number;
type i32 = number;
type usize = number;
interface v128 {
  readonly lanes: unique symbol;
}

/** 0 when the code runs as JavaScript. */
declare const ASC_TARGET: i32;

interface Float64Array {
  /** Address of the first element in WASM's memory. */
  readonly dataStart: usize;
}

declare function load<T extends number>(address: usize, offset?: usize): T;
declare function store<T extends number>(address: usize, value: T, offset?: usize): void;

declare namespace v128 {
  function load(address: usize, offset?: usize): v128;
  function store(address: usize, value: v128, offset?: usize): void;
}

declare namespace f64x2 {
  function splat(value: f64): v128;
  function extract_lane(vector: v128, lane: 0 | 1): f64;
  function add(a: v128, b: v128): v128;
  function sub(a: v128, b: v128): v128;
  function mul(a: v128, b: v128): v128;
  function div(a: v128, b: v128): v128;
  function sqrt(a: v128): v128;
}
