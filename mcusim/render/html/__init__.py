"""One answer as one HTML file that needs nothing else: no network, no other file, no script from elsewhere.

`page.html.j2`, `style.css` and `page.js` lie beside this module. The template only places what the modules here have
put into words and numbers; it escapes every text, and the page forbids itself the network.
"""

from mcusim.render.html.page import html_page

__all__ = ["html_page"]
