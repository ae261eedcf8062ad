/** Text into HTML, in elements and in quoted attributes. */
const NAMES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export const escapeHtml = (value) => String(value).replaceAll(/[&<>"']/g, (char) => NAMES[char]);
