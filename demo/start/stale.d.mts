/** Types of `stale.mjs` for TypeScript callers. */
export declare function isStale(output: string, sources: readonly string[]): Promise<boolean>;
