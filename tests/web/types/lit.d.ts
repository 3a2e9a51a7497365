// What web/vendor/lit.js holds, in the words of the packages it is made of.
export * from "lit";
export * from "lit/async-directive.js";
export * from "lit/directive-helpers.js";
export * from "lit/directives/class-map.js";
export * from "lit/directives/guard.js";
export * from "lit/directives/if-defined.js";
export * from "lit/directives/keyed.js";
export * from "lit/directives/live.js";
export * from "lit/directives/ref.js";
export * from "lit/directives/repeat.js";
export * from "lit/directives/unsafe-html.js";
