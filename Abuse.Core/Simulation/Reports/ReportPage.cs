using System.Security.Cryptography;
using System.Text;

namespace Abuse.Core;

/// <summary>The page: a template with its style and script, and what belongs into its places.</summary>
/// <remarks>
/// The page's policy allows that one style and that one script, by their hashes, and nothing else: what others wrote could not run even if it were
/// not escaped.
/// </remarks>
internal sealed class ReportPage(ReportFigures figures)
{
    /// <summary>In the order in which the script needs them.</summary>
    private static readonly string[] Scripts = ["data.js", "words.js", "axis.js", "canvas.js", "timeline.js", "dense.js", "steps.js", "latency.js", "page.js"];

    internal byte[] ToUtf8()
    {
        string style = Resource("report.css");
        string script = $"(() => {{\n'use strict';\n{string.Concat(Scripts.Select(Resource))}}})();\n";
        var tables = new ReportTables(figures);
        return Encoding.UTF8.GetBytes(Fill(Resource("report.html"), new Dictionary<string, string>
        {
            ["title"] = ReportText.Escape(figures.Options.Title),
            ["style"] = style,
            ["style-hash"] = Hash(style),
            ["script"] = script,
            ["script-hash"] = Hash(script),
            ["data"] = ReportData.Write(figures),
            ["words"] = new ReportWords(figures).ToHtml(),
            ["failure"] = tables.Failure(),
            ["states"] = tables.States(),
            ["latencies"] = tables.Latencies(),
            ["peaks"] = tables.Peaks(),
            ["answers"] = tables.Answers(),
            ["faults"] = tables.Faults(),
            ["marks"] = tables.Marks(),
        }));
    }

    /// <summary>Puts each {{name}}'s text in its place, in one pass: what is put in is looked at by nobody.</summary>
    private static string Fill(string template, Dictionary<string, string> places)
    {
        var page = new StringBuilder();
        for (int at = 0; ;)
        {
            int open = template.IndexOf("{{", at, StringComparison.Ordinal);
            if (open < 0)
            {
                return page.Append(template, at, template.Length - at).ToString();
            }

            int close = template.IndexOf("}}", open, StringComparison.Ordinal);
            page.Append(template, at, open - at).Append(places[template[(open + 2)..close]]);
            at = close + 2;
        }
    }

    private static string Hash(string text) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    /// <summary>A file of the Page folder; lines end as browsers hash them, whatever the checkout made of them.</summary>
    private static string Resource(string name)
    {
        using Stream stream = typeof(ReportPage).Assembly.GetManifestResourceStream($"Abuse.Core.Report.{name}")
            ?? throw new InvalidOperationException($"The library was built without its resource {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
