"""Lock files of Poetry, PDM and Pipenv: exported by the tool that owns them, then installed by uv.

Sources: python-poetry.org/docs, "export" (poetry-plugin-export); pdm-project.org, "Export locked
packages to alternative formats"; pipenv.pypa.io, "pipenv requirements".
"""
