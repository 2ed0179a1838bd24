"""The hub's public key infrastructure in DATA/pki: authorities, certificates, revocation, roll-over.

    ca.pem            the roots: what clients trust
    trusted.pem       the roots and issuing authorities: what the hub verifies devices with
    server.pem        the hub's own private key and certificate chain, one file, so that they change together
    ca.crl            the revocation lists, one of each issuing authority
    issued.db         what was issued
    authorities.json  which authority signs, and which others are still accepted
    authorities/N/    root.pem, root.key (unless kept offline), issuing.pem, issuing.key, ocsp.pem

Folders made by the first version have one authority in ca.pem and ca.key; they go on until a roll-over. All files
are 0600, folders 0700. Processes take turns by the file `.lock`. Errors: SecurityError.
"""

from bridgehead.security.pki.hub import FOLDER, Pki, wanted_hosts
from bridgehead.security.pki.issued import IssuedCertificate
from bridgehead.security.pki.opening import ensure, open_authority

__all__ = ["FOLDER", "IssuedCertificate", "Pki", "ensure", "open_authority", "wanted_hosts"]
