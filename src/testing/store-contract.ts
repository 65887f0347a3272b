import assert from "node:assert/strict";
import type { Store } from "../stores/store.ts";
import { byteCases } from "./contract/bytes.ts";
import type { Check } from "./contract/check.ts";
import { concurrencyCases } from "./contract/concurrency.ts";
import { expiryCases } from "./contract/expiry.ts";
import { labelCases } from "./contract/labels.ts";
import { lifeCases } from "./contract/life.ts";

/** One promise that every store keeps. */
export interface ContractCase {
  /** A sentence, to be the title of a test. */
  readonly name: string;
  /** Opens stores of its own and closes them. @throws AssertionError when the store breaks the promise */
  run(): Promise<void>;
}

/** What a store is excused from, and how its backend is opened again. */
export interface StoreContractOptions {
  /** Opens another instance over the backend of the store that was created last; absent leaves out what needs two instances. */
  reopen?: (() => Store | Promise<Store>) | undefined;
  /** `false`: the store cannot list its keys, and gives none. @default true */
  lists?: boolean | undefined;
  /** `false`: the numbers that `delete` and `invalidate` give are estimates. @default true */
  counts?: boolean | undefined;
  /** `false`: an invalidation by several groups may take entries that carry a label of one group only. @default true */
  exact?: boolean | undefined;
  /** The largest value that must fit, bytes. @default 1_048_576 (1 MiB) */
  largestBytes?: number | undefined;
}

/**
 * What every {@link Store} promises, as cases for any test framework: `for (const { name, run } of storeContract(create)) it(name, run)`.
 *
 * @param create opens the store; called once for each case. The backend may be the same one each time: a case begins by clearing it,
 * so it must hold nothing that is needed.
 */
export function storeContract(create: () => Store | Promise<Store>, options: StoreContractOptions = {}): readonly ContractCase[] {
  const { lists = true, counts = true, exact = true, largestBytes = 1024 * 1024, reopen } = options;
  const checks: Record<string, Check> = { ...byteCases, ...expiryCases, ...labelCases, ...concurrencyCases, ...lifeCases };
  return Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => {
      const opened: Store[] = [];
      const open = async (make: () => Store | Promise<Store>): Promise<Store> => {
        const store = await make();
        opened.push(store);
        return store;
      };
      try {
        const store = await open(create);
        await store.clear();
        const other = reopen && ((): Promise<Store> => open(reopen));
        await check({ store, other, lists, exact, largestBytes, counted: (got, wanted) => count(got, wanted, counts) });
      } finally {
        await Promise.all(opened.map((store) => store.close()));
      }
    },
  }));
}

function count(got: number, wanted: number, exactly: boolean): void {
  if (exactly) assert.equal(got, wanted, `counted ${got}, where there were ${wanted}`);
  else assert.ok(Number.isInteger(got) && got >= 0, `counted ${got}: wanted a whole number of at least 0`);
}
