import { importPeerPackage } from "../harness/peers.ts";

/** What is used of a BentoCache. */
export interface Bento {
  get(options: { key: string }): Promise<unknown>;
  set(options: { key: string; value: unknown }): Promise<boolean>;
  disconnect(): Promise<void>;
}

interface BentoStore {
  useL1Layer(driver: unknown): BentoStore;
  useL2Layer(driver: unknown): BentoStore;
}

interface BentoPackage {
  readonly BentoCache: new (options: { default: "only"; stores: { only: BentoStore } }) => Bento;
  bentostore(): BentoStore;
}

/** With memory alone, all options at their defaults. */
export async function bentoInMemory(): Promise<Bento> {
  const { memoryDriver } = await importPeerPackage<{ memoryDriver(options: object): unknown }>("bentocache/drivers/memory");
  return bento((store) => store.useL1Layer(memoryDriver({})));
}

/** With Redis alone, all options at their defaults. */
export async function bentoInRedis(port: number): Promise<Bento> {
  const { redisDriver } = await importPeerPackage<{ redisDriver(options: object): unknown }>("bentocache/drivers/redis");
  return bento((store) => store.useL2Layer(redisDriver({ connection: { host: "127.0.0.1", port } })));
}

async function bento(layers: (store: BentoStore) => BentoStore): Promise<Bento> {
  const { BentoCache, bentostore } = await importPeerPackage<BentoPackage>("bentocache");
  return new BentoCache({ default: "only", stores: { only: layers(bentostore()) } });
}
