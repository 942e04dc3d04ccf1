"""Pages that people look at: what their files hold, how they look, and how they answer."""
