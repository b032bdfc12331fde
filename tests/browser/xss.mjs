// SPDX-License-Identifier: MIT
// Makes the corpus of script injections: every vector in every surrounding.
// Leaves what is done with them to xss.test.mjs.

const VECTORS = [
  '<script>hit()</script>',
  '<img src=x onerror=hit()>',
  '<svg onload=hit()>',
  '<svg/onload=hit()//',
  '<iframe srcdoc="<script>hit()</script>">',
  '<body onload=hit()>',
  '<details open ontoggle=hit()>',
  '<input autofocus onfocus=hit()>',
  '<video><source onerror=hit()></video>',
  '<a href="javascript:hit()">x</a>',
  '<math><mi href="javascript:hit()">x',
  '<object data="javascript:hit()">',
  '<meta http-equiv=refresh content="0;url=javascript:hit()">',
  '<form action=javascript:hit()><input type=submit>',
  '<style>@import "javascript:hit()";</style>',
  '<template><script>hit()</script></template>',
  '<base href="https://evil.example/">',
  'javascript:hit()',
  'https://x.example/"onmouseover="hit()',
  "https://x.example/'onclick='hit()",
  '&lt;script&gt;hit()&lt;/script&gt;',
  '&#60;img src=x onerror=hit()&#62;',
  '{{constructor.constructor("hit()")()}}',
  '${hit()}',
  '__proto__',
];

const SURROUNDINGS = [
  (v) => v,
  (v) => `">${v}`,
  (v) => `'>${v}<b`,
  (v) => `--></title></textarea>${v}`,
  (v) => `]]>${v}`,
  (v) => `\\u003c${v}\\`,
  (v) => `*${v}* \`x\``,
  (v) => `${v}é\u202a漢字`.replace('\u202a', ''),
];

/** 200 different payloads, each at most 100 characters so that it is a valid name as well. */
export const payloads = SURROUNDINGS.flatMap((wrap) => VECTORS.map(wrap));
