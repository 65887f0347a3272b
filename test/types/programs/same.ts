/** Whether two types are identical: assignability would let `any` and subtypes pass. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only for a condition that holds. */
export declare function yes<Condition extends true>(holds?: Condition): void;

yes<Same<{ a: 1 }, { a: 1 }>>();
// @ts-expect-error the check itself must be able to fail
yes<Same<{ a: 1 }, { a: number }>>();
// @ts-expect-error also against any
yes<Same<unknown, any>>();
