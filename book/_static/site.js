// Opened from disk, a page may not read the other pages: search then lists its hits without an excerpt of each.
if (location.protocol === "file:" && window.DOCUMENTATION_OPTIONS) DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
