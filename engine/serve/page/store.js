/** What outlives a reload: pictures in IndexedDB, small things in localStorage. */

let opening = null;

/** Read something small; `usual` where there is nothing, or nothing that can be read. */
export function recall(name, usual) {
  try {
    return JSON.parse(localStorage.getItem(`sakuga.${name}`)) ?? usual;
  } catch {
    return usual;
  }
}

/** Keep something small. A browser that keeps nothing is no reason to stop. */
export function remember(name, value) {
  try {
    localStorage.setItem(`sakuga.${name}`, JSON.stringify(value));
  } catch (error) {
    console.warn("Not kept:", name, error);
  }
}

/** The pictures kept. Throws where the browser keeps none. */
export const keptPictures = () => work("readonly", (pictures) => pictures.getAll());

/** Keep a picture. */
export const keepPicture = (record) => work("readwrite", (pictures) => pictures.put(record));

/** Forget a picture. */
export const forgetPicture = (key) => work("readwrite", (pictures) => pictures.delete(key));

/** Forget them all. */
export const forgetPictures = () => work("readwrite", (pictures) => pictures.clear());

async function work(mode, act) {
  opening ??= open();
  const database = await opening;
  return outcome(act(database.transaction("pictures", mode).objectStore("pictures")));
}

function open() {
  const request = indexedDB.open("sakuga", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "key" });
  return outcome(request);
}

function outcome(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
