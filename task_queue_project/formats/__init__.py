"""Date and number formats by language; Django's own Arabic ones are weak."""
