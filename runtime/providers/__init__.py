"""One file per vendor: the only places that import a vendor's client, and where its errors end."""
