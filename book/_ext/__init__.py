"""The course's own Sphinx parts: exercises that run in the page, questions, live figures, formulas, the look."""

from book._ext import (
    chapter_head,
    code_blocks,
    course_path,
    drawing,
    engine_map,
    figure_live,
    fold,
    html_element,
    landing,
    live,
    mathml,
    nbexercise,
    pictures,
    predict,
    progress,
    search,
    site,
)

PARTS = (
    html_element,
    mathml,
    nbexercise,
    live,
    predict,
    progress,
    figure_live,
    drawing,
    fold,
    pictures,
    landing,
    course_path,
    engine_map,
    chapter_head,
    code_blocks,
    search,
    site,
)


def setup(app):
    # Jupyter Book sets this for sphinx_comments, which _config.yml leaves out
    app.add_config_value("comments_config", {}, "html")
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
