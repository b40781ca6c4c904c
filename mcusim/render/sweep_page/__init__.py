"""The answers of a sweep as one HTML file that filters, sorts and draws: no network, no other file.

The rows stand in the page as JSON; `page.js` shows a screenful of them at a time, so that tens of thousands stay quick.
Every text is set as text, never as markup, and the page forbids itself the network.
"""

from mcusim.render.sweep_page.page import sweep_page

__all__ = ["sweep_page"]
