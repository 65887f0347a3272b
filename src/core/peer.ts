import { MissingPeerError } from "./errors.ts";

/** An optional package, loaded when it is first needed. @throws MissingPeerError when it is not installed */
export async function loadPeer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    // The package may be there and miss one of its own: that is another error.
    if (code === "ERR_MODULE_NOT_FOUND" && message?.includes(`'${name}'`)) throw new MissingPeerError(name);
    throw error;
  }
}
