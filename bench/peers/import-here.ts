/** Imports a package as this folder sees it: the versions of `bench/peers/package.json`. */
export function importHere(name: string): Promise<unknown> {
  return import(name);
}
