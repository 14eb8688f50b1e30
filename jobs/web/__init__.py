"""The operators' desk: parse the request, call one verb or one query, render."""
