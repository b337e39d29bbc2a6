"""The course's own Sphinx parts: exercises that run in the page, questions, live figures, self-hosted maths."""

from book._ext import course_path, drawing, figure_live, live, mathjax, nbexercise, predict, progress, site


def setup(app):
    # Jupyter Book sets this for sphinx_comments, which _config.yml leaves out
    app.add_config_value("comments_config", {}, "html")
    for part in (mathjax, nbexercise, live, predict, progress, figure_live, drawing, course_path, site):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
