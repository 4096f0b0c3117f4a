// Shows the gateway's own document; asks nobody else about it, and keeps no credential when the page is left.
window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: document.body.dataset.document,
    dom_id: "#api",
    deepLinking: false,
    validatorUrl: null,
    persistAuthorization: false,
    queryConfigEnabled: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
  });
});
