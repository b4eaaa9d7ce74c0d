"""Releases: thin archives with a manifest, so that nobody trains every baseline again.

`thin`, `packing`, `manifest` and `places` say what a release is and find what it has;
`build`, `verify` and `fetch` make, check and get one. `describe`, `checks` and `adding`
are what these share: what a manifest says of an archive, what an archive must hold, and
how one is put into a release.
"""
