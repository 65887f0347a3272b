export { pooledFetch, type PooledFetch, type PooledFetchOptions, type PooledFetchStats } from "./http/pooled-fetch.ts";
export { MissingPeerError, OptionError } from "./core/errors.ts";
