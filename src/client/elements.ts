type Constructor<T extends Element> = new (...args: never[]) => T;

/** The element of that id and kind. The page is ours, so its absence is a programming error. */
export function byId<T extends Element>(id: string, kind: Constructor<T>): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} #${id}`);
}

/** Makes an element with a class and text. Text is only ever set as text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
