// The dialog that asks for a token, when there is no session or no longer one. What lies under it stays as it was.

import { Lost, session } from "./session.js";

const dialog = document.getElementById("login");
const field = document.getElementById("token");
const error = document.getElementById("login-error");
let wanted = false;

export function askForToken(why, done) {
  error.textContent = why;
  wanted = true;
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    submit(done);
  };
  if (!dialog.open) dialog.showModal();
}

async function submit(done) {
  error.textContent = "";
  try {
    const who = await session.begin(field.value.trim());
    wanted = false;
    field.value = "";
    dialog.close();
    done(who);
  } catch (failure) {
    error.textContent =
      failure instanceof Lost
        ? "Control does not know this token."
        : `Control did not answer: ${failure.message}.`;
    field.focus();
    field.select();
  }
}

dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.addEventListener("close", () => wanted && dialog.showModal()); // there is nothing to see without it
