// What a composer does besides sending. Markdown by keys: bold, italic and links, lists that go on, code that keeps its
// indent. Everything can be undone: the browser itself writes the text.

import { board } from "/state.js";
import { redraw } from "./composer.js";
import { problemOf } from "./faults.js";

/** @param {HTMLTextAreaElement} field @param {string} text @param {number} from @param {number} to what the text takes the place of */
function write(field, text, from = field.selectionStart, to = field.selectionEnd) {
  field.setSelectionRange(from, to);
  // What is written by a script alone could not be undone.
  if (!document.execCommand(text ? "insertText" : "delete", false, text)) field.setRangeText(text, from, to, "end");
}

/** Puts marks around what is selected, or takes them away. @param {HTMLTextAreaElement} field @param {string} mark */
function surround(field, mark) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const text = value.slice(from, to);
  const size = mark.length;
  // `**` is no italic.
  const isMarked = value.slice(from - size, from) === mark && value.slice(to, to + size) === mark && (size > 1 || value[from - 2] !== mark || value[from - 3] === mark);
  if (isMarked) {
    write(field, text, from - size, to + size);
    return field.setSelectionRange(from - size, to - size);
  }
  write(field, mark + text + mark);
  field.setSelectionRange(from + size, to + size);
}

/** Makes a link of what is selected; the address is to be written then. @param {HTMLTextAreaElement} field @param {string} [address] */
export function link(field, address = "") {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const text = value.slice(from, to);
  write(field, `[${text}](${address})`);
  const at = address ? from + text.length + address.length + 4 : text ? from + text.length + 3 : from + 1;
  field.setSelectionRange(at, at);
}

/** The line that the caret stands in, up to it. @param {HTMLTextAreaElement} field */
const lineOf = (field) => field.value.slice(field.value.lastIndexOf("\n", field.selectionStart - 1) + 1, field.selectionStart);

/** Begins a new line: with the indent of code, or the next mark of a list. @param {HTMLTextAreaElement} field @param {boolean} isCode */
export function newLine(field, isCode) {
  const line = lineOf(field);
  // The kept indent of the code is not that of the fence which ends it.
  if (isCode && /^\s+(```|~~~)$/.test(line)) {
    const at = field.selectionStart;
    return write(field, `${line.trim()}\n`, at - line.length, at);
  }
  if (isCode) return write(field, `\n${line.match(/^[ \t]*/)?.[0] ?? ""}`);
  const [, indent = "", mark = "", space = "", box = "", text = ""] = line.match(/^(\s*)([-*+]|\d{1,8}[.)]|>)(\s+)(\[[ x]\]\s+)?(.*)$/) ?? [];
  if (!mark) return write(field, "\n");
  // An item without text ends the list.
  if (!text) return write(field, "", field.selectionStart - line.length, field.selectionStart);
  const number = mark.match(/^(\d+)([.)])$/);
  write(field, `\n${indent}${number ? Number(number[1]) + 1 + number[2] : mark}${space}${box ? "[ ] " : ""}`);
}

/** Whether a key was one of these, and is done with. @param {KeyboardEvent} event @param {HTMLTextAreaElement} field */
export function markKeys(event, field) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return false;
  const key = event.key.toLowerCase();
  if (!event.shiftKey && key === "b") surround(field, "**");
  else if (!event.shiftKey && key === "i") surround(field, "*");
  else if (!event.shiftKey && key === "e") surround(field, "`");
  else if (event.shiftKey && key === "x") surround(field, "~~");
  else if (event.shiftKey ? key === "u" : key === "k") link(field);
  else return false;
  return true;
}

/** Saves an edit. @param {import("./composer.js").ChatComposer} composer @param {string} body */
export async function saveEdit(composer, body) {
  const { begun } = composer;
  const { editing } = begun;
  if (!body && !editing.upload_id) {
    composer.problem = "A message can't be empty. To remove it, delete it.";
    return;
  }
  // Meanwhile one may be in another room, or edit another message.
  const isHere = () => composer.isConnected && begun === composer.begun;
  try {
    await board.request("PATCH", `/messages/${editing.id}/`, { body });
    if (begun.editing !== editing) return;
    if (isHere()) composer.cancel();
    else begun.editing = null;
  } catch (error) {
    if (isHere()) composer.problem = problemOf(error);
  }
  redraw();
}
