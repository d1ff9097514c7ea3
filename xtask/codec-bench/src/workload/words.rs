//! What titles and names are made of.

/// Who issues are assigned to.
pub(super) const PEOPLE: [&str; 20] = [
    "Ada", "Amara", "Bo", "Chen Wei", "Dmitri", "Elif", "Fatima", "Grace", "Hiroshi", "Inés",
    "Jamal", "Kofi", "Lena", "Mateo", "Noor", "Olu", "Priya", "Søren", "Tomasz", "Yuki",
];

/// What a title begins with.
pub(super) const TITLE_FIRST: [&str; 16] = [
    "Calendar", "Chart", "Crash", "Export", "Freeze", "Import", "Label", "Login", "Memory",
    "Printer", "Profile", "Search", "Shortcut", "Sync", "Toolbar", "Window",
];

/// What it goes on with.
pub(super) const TITLE: [&str; 112] = [
    "after", "again", "and", "any", "appears", "before", "blank", "both", "button", "cache",
    "café", "changes", "chart", "closing", "column", "comment", "contact", "copy", "crash",
    "cursor", "dark", "date", "delete", "dialogue", "disk", "download", "draft", "drag", "drops",
    "empty", "error", "every", "export", "fails", "field", "file", "filter", "first", "focus",
    "folder", "font", "frozen", "full", "hangs", "header", "hidden", "icon", "ignored", "image",
    "import", "in", "invalid", "is", "keyboard", "large", "last", "late", "layout", "link", "list",
    "loses", "menu", "missing", "not", "of", "offline", "old", "on", "only", "page", "password",
    "paste", "preview", "print", "quota", "random", "reload", "rename", "resize", "restart", "row",
    "scroll", "second", "select", "server", "settings", "slow", "sort", "spinner", "stale",
    "style", "tab", "table", "text", "theme", "timeout", "too", "twice", "undo", "unread",
    "update", "upload", "user", "vanishes", "when", "while", "wide", "with", "without", "wrong",
    "zoom", "Zürich",
];
