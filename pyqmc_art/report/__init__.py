"""Reports: figure data drawn with matplotlib, findings written as one self-contained HTML page.

matplotlib and Jinja2 are imported when something is drawn or written, never before.
"""
