// Brings the page up, however bad the network is: a module that did not come is asked for again with all others.

const AGAIN_MS = 2000;

import("./page.js").catch((error) => {
  document.querySelector("#main p").textContent = `The page did not load: ${error.message}. Trying again …`;
  setTimeout(() => location.reload(), AGAIN_MS);
});
