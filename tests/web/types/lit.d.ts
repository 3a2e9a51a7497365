// What web/vendor/lit.js holds, in the words of the packages it is made of.
export * from "lit";
export * from "lit/directive-helpers.js";
export * from "lit/directives/repeat.js";
