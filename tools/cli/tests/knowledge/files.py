"""Files as people have them, made here so that none has to be kept."""

import io

import docx

PDF_HEAD = b"%PDF-1.4\n"


def docx_file(*blocks: tuple[str, str]) -> bytes:
    """Return a DOCX of paragraphs: the name of the style, the text; `row`: a table of one row."""
    document = docx.Document()
    for style, text in blocks:
        if style == "row":
            cells = text.split("|")
            table = document.add_table(rows=1, cols=len(cells))
            for cell, said in zip(table.rows[0].cells, cells, strict=True):
                cell.text = said
        else:
            document.add_paragraph(text, style=style)
    stored = io.BytesIO()
    document.save(stored)
    return stored.getvalue()


def pdf_file(*pages: str) -> bytes:
    """Return a PDF with a line of ASCII on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        said = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        page = f"/Parent 2 0 R /MediaBox [0 0 612 792] {fonts} /Contents {5 + 2 * number} 0 R"
        objects += [
            f"<< /Type /Page {page} >>",
            f"<< /Length {len(said)} >>\nstream\n{said}\nendstream",
        ]
    body, places = PDF_HEAD, []
    for number, one in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()
