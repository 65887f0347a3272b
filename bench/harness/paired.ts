import { quartiles, type Quartiles } from "./quartiles.ts";

/** One of two ways to do the same work. */
export interface Side {
  /** Makes this many calls, one after the other. */
  run(calls: number): Promise<void>;
}

export interface PairedOptions {
  readonly bare: Side;
  readonly wrapped: Side;
  /** Calls of each side in each round. */
  readonly calls: number;
  /** @default 201 */
  readonly rounds?: number;
  /** Rounds before the first that counts. @default 100 */
  readonly warmUpRounds?: number;
}

export interface PairedResult {
  /** Microseconds per call. */
  readonly bareUs: Quartiles;
  readonly wrappedUs: Quartiles;
  /** Wrapped / bare, by rounds. */
  readonly ratio: Quartiles;
  /** Wrapped - bare, by rounds, microseconds per call. */
  readonly addedUs: Quartiles;
  /** The same ratio of this process's CPU time, which other processes disturb less. */
  readonly cpuRatio: Quartiles;
}

interface Cost {
  readonly wallUs: number;
  readonly cpuUs: number;
}

/** Times two sides in alternating rounds; each round begins with the side with which the last one ended. */
export async function paired({ bare, wrapped, calls, rounds = 201, warmUpRounds = 100 }: PairedOptions): Promise<PairedResult> {
  const costs: { bare: Cost; wrapped: Cost }[] = [];
  for (let round = -warmUpRounds; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? [bare, wrapped] : [wrapped, bare];
    const costOfFirst = await timed(first, calls);
    const costOfSecond = await timed(second, calls);
    const cost = first === bare ? { bare: costOfFirst, wrapped: costOfSecond } : { bare: costOfSecond, wrapped: costOfFirst };
    if (round >= 0) costs.push(cost);
  }
  return {
    bareUs: quartiles(costs.map(({ bare }) => bare.wallUs)),
    wrappedUs: quartiles(costs.map(({ wrapped }) => wrapped.wallUs)),
    ratio: quartiles(costs.map(({ bare, wrapped }) => wrapped.wallUs / bare.wallUs)),
    addedUs: quartiles(costs.map(({ bare, wrapped }) => wrapped.wallUs - bare.wallUs)),
    cpuRatio: quartiles(costs.map(({ bare, wrapped }) => wrapped.cpuUs / bare.cpuUs)),
  };
}

async function timed(side: Side, calls: number): Promise<Cost> {
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  await side.run(calls);
  const wallUs = Number(process.hrtime.bigint() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { wallUs: wallUs / calls, cpuUs: (user + system) / calls };
}
