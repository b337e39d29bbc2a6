"""What the whole site shares: its address in one place, hover texts for glossary words, Binder and Colab buttons.

In _config.yml, `html_baseurl` is where the book is published (sitemap, opengraph), and `course_repository` the public
git repository, "" for none: Binder and Colab need one, so without it their buttons are left out.
"""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError

GLOSSARY = "book/glossary"
MAX_WORDS = 45
# The theme measures every code block one after the other, in closed cards too, at the start and after each change of
# the page: seconds on a slow machine. site.js marks what scrolls, having measured all at once.
THEME_SCRIPT = "_static/scripts/pydata-sphinx-theme.js"
MEASURES = '"complete"===document.readyState?I():window.addEventListener("load",I)'
MEASURES_NOT = "0/* scrolling boxes are marked by site.js */"
# Of the 6,400 rules of these, mostly icons and columns, five in six name a class that no page and no script has.
THEME_STYLES = ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css", "mystnb.*.css")
RULE = re.compile(r"""(?<=[{}])([\w\s.,:>+~*\[\]="'\\-]+)\{([^{}]*)\}""")
CLASS = re.compile(r"\.((?:[\w-]|\\.)+)")
PUT_TOGETHER = ("bs-", "tooltip", "modal")  # classes whose names a script puts together


def one_address(app, config):
    """Opengraph names the same address as the sitemap, and the 404 page, which is shown anywhere, links below it."""
    if config.html_baseurl and "ogp_site_url" in config:
        config.ogp_site_url = config.html_baseurl
        config.notfound_urls_prefix = urlsplit(config.html_baseurl).path


def plain_definition(definition):
    """A definition as one or two plain sentences; "" when all of them hold formulas."""
    parts = []
    for node in definition.findall(nodes.Text):
        inside = {type(parent) for parent in ancestors(node, definition)}
        if addnodes.pending_xref in inside or nodes.citation_reference in inside or nodes.footnote_reference in inside:
            continue
        parts.append("\0" if nodes.math in inside or nodes.math_block in inside else node.astext())
    sentences = re.split(r"(?<=[.;])\s+", re.sub(r"\s+", " ", "".join(parts)).strip())
    kept = [sentence for sentence in sentences if sentence and "\0" not in sentence][:2]
    words = re.sub(r"\s+([.,;])", r"\1", " ".join(kept)).split()
    return " ".join(words[:MAX_WORDS]) + ("…" if len(words) > MAX_WORDS else "")


def ancestors(node, top):
    while node.parent is not None and node.parent is not top:
        node = node.parent
        yield node


def definitions(env):
    """{id of a glossary term: plain definition}, read from the glossary page."""
    if GLOSSARY not in env.found_docs:
        return {}
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        definition = next(item.findall(nodes.definition), None)
        for term in item.findall(nodes.term):
            found |= {anchor: plain_definition(definition) for anchor in term["ids"] if definition}
    return found


def add_hover_texts(app, doctree, docname):
    """Give every link to a glossary word its definition as a title; terms.js shows it on focus, too."""
    links = [node for node in doctree.findall(nodes.reference) if is_term(node)]
    if not links or docname == GLOSSARY:
        return
    words = definitions(app.env)
    for link in links:
        anchor = link.get("refuri", "").rpartition("#")[2] or link.get("refid", "")
        if words.get(anchor):
            link["reftitle"] = words[anchor]


def is_term(link):
    return any("std-term" in child.get("classes", ()) for child in link.findall(nodes.Element))


def one_title(app, pagename, templatename, context, doctree):
    """The front page's own title is the book's; a browser tab says it once."""
    if pagename == app.config.root_doc:
        context["title"] = "Build the engine that serves a language model"


def add_launch_buttons(app, pagename, templatename, context, doctree):
    """Binder and Colab on the chapters that have a notebook."""
    address = app.config.course_repository.rstrip("/")
    topic = pagename.removeprefix("book/")
    path, host = f"notebooks/{topic}/{topic}.ipynb", "https://github.com/"
    if not address or "header_buttons" not in context or not (Path(app.confdir) / path).is_file():
        return
    project = address.removeprefix(host)
    kind = f"gh/{project}" if address.startswith(host) else f"git/{quote(address, safe='')}"
    buttons = [("binder", "Run on Binder", f"https://mybinder.org/v2/{kind}/HEAD?urlpath=lab/tree/{path}")]
    if address.startswith(host):
        hint = "Run on Colab; its first cell installs the course"
        buttons.append(("colab", hint, f"https://colab.research.google.com/github/{project}/blob/HEAD/{path}"))
    for label, tooltip, url in buttons:
        look = {"icon": "fas fa-rocket", "text": label.capitalize(), "tooltip_placement": "bottom"}
        context["header_buttons"].append({"type": "link", "url": url, "label": label, "tooltip": tooltip, **look})


def defer_scripts(app, pagename, templatename, context, doctree):
    """Scripts of files wait for the page, but for the options, which scripts of a line in the head need at once."""
    if pagename == "search" or "script_files" not in context:
        return

    def deferred(script):
        if not script.filename or str(script.filename).endswith("documentation_options.js"):
            return script
        return type(script)(script.filename, priority=script.priority, **{**script.attributes, "defer": "defer"})

    context["script_files"] = [deferred(script) for script in context["script_files"]]


def lighten_theme(app, error):
    if error or app.builder.format != "html" or not (path := Path(app.outdir) / THEME_SCRIPT).is_file():
        return
    script = path.read_text(encoding="utf-8")
    if script.count(MEASURES) + script.count(MEASURES_NOT) != 1:
        raise ExtensionError(f"{THEME_SCRIPT} is another version: find what it does on load and update site.py")
    path.write_text(script.replace(MEASURES, MEASURES_NOT), encoding="utf-8")


def used_rules(css, words):
    """A style sheet without the rules that can meet nothing: each of their selectors has a class not among words."""

    def is_used(selector):
        names = (name.replace("\\", "") for name in CLASS.findall(selector))
        return all(name in words or name.startswith(PUT_TOGETHER) for name in names)

    def shortened(rule):
        selectors = ",".join(filter(is_used, rule[1].split(",")))
        return f"{selectors}{{{rule[2]}}}" if selectors else ""

    return RULE.sub(shortened, css)


def lighten_styles(app, error):
    """A browser reads the theme's style sheets before it shows anything: only what the book uses stays in them."""
    if error or app.builder.format != "html":
        return
    folder, words = Path(app.outdir), set()
    for file in [*folder.rglob("*.html"), *(folder / "_static").glob("**/*.js")]:
        if "vendor" not in file.parts:
            words |= set(re.findall(r"[\w-]+", file.read_text(encoding="utf-8")))
    for name in THEME_STYLES:
        for path in (folder / "_static").glob(name):
            path.write_text(used_rules(path.read_text(encoding="utf-8"), words), encoding="utf-8")


def setup(app):
    app.add_config_value("course_repository", "", "html")
    app.connect("config-inited", one_address)
    app.connect("doctree-resolved", add_hover_texts)
    app.connect("html-page-context", one_title)
    app.connect("html-page-context", add_launch_buttons, priority=502)
    app.connect("html-page-context", defer_scripts, priority=900)
    app.connect("build-finished", lighten_theme)
    app.connect("build-finished", lighten_styles)
    app.add_js_file("terms.js", defer="defer")
