/** The prototypes of an object, nearest first, without `Object.prototype`. */
export function* prototypesOf(object: object): Generator<object> {
  let prototype = Object.getPrototypeOf(object) as object | null;
  while (prototype && prototype !== Object.prototype) {
    yield prototype;
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
}

/** Where a property of an object stands: on the object itself or on one of its prototypes. A plain loop: keys are made with it at each call. */
export function ownerOf(object: object, property: string): object | undefined {
  for (let owner: object | null = object; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner) as object | null) {
    if (Object.hasOwn(owner, property)) return owner;
  }
  return undefined;
}
