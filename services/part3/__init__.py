"""Part3's side of the mirror, as `part3.openapi.yaml` describes it. Its words end here."""
