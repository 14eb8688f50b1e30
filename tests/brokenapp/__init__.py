"""An app that breaks one rule of the engine on purpose (BREAK names it), to show that the test commands find it."""
