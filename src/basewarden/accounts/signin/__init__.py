"""Sign-in sessions, whatever opened them: cookies, callers, devices and the list of active sessions."""
