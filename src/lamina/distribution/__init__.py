"""The registry protocol (OCI distribution-spec 1.1): words both sides use, `client/` to pull and push, `server/`."""
