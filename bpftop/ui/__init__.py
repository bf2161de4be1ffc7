"""The screen: the only package that knows Textual, Rich and plotext. Empty: importing it costs nothing."""
