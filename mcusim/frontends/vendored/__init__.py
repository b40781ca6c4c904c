"""Generated bindings of others' file formats, with their licence. Nobody reads or edits them here."""
