using System.Globalization;
using System.Net;
using System.Text;

namespace Abuse.Core;

/// <summary>Words and numbers as HTML.</summary>
internal static class ReportText
{
    private const double TicksPerMicrosecond = TimeSpan.TicksPerMicrosecond;

    /// <summary>Text of others as what it is, whatever is in it.</summary>
    internal static string Escape(string text) => WebUtility.HtmlEncode(Clean(text));

    /// <summary>Halves of surrogate pairs, which no encoding has, as the replacement character.</summary>
    internal static string Clean(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    /// <summary>A number for people, with the exact one for programs.</summary>
    internal static string Number(long value) => Data(value, Count(value));

    internal static string Bytes(long value) => Data(value, ByteSize.Format(value));

    /// <summary>A time in ticks, or a number of events.</summary>
    internal static string Latency(long value, bool isEvents) => Data(value, isEvents ? Count(value) : Time(value));

    internal static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>"3 faults", "1 fault".</summary>
    internal static string Count(long value, string what, string? many = null) => $"{Count(value)} {(value == 1 ? what : many ?? what + "s")}";

    /// <summary>Ticks in the largest unit of time of which there is at least one.</summary>
    internal static string Time(double ticks)
    {
        double microseconds = ticks / TicksPerMicrosecond;
        return microseconds switch
        {
            < 1000 => Round(microseconds, "µs"),
            < 1_000_000 => Round(microseconds / 1000, "ms"),
            _ => Round(microseconds / 1_000_000, "s"),
        };
    }

    /// <summary>A table: heads, and rows of cells that are HTML. The first cell of a row is its head; <paramref name="numbers"/> of the last columns are numbers.</summary>
    internal static string Table(string caption, int numbers, string[] heads, IEnumerable<string[]> rows)
    {
        var html = new StringBuilder($"<div class=\"table\" role=\"region\" aria-label=\"{Escape(caption)}\"><table><caption>{Escape(caption)}</caption><thead><tr>");
        for (int i = 0; i < heads.Length; i++)
        {
            html.Append(CultureInfo.InvariantCulture, $"<th scope=\"col\"{Class(i)}>{Escape(heads[i])}</th>");
        }

        html.Append("</tr></thead><tbody>\n");
        foreach (string[] row in rows)
        {
            html.Append(CultureInfo.InvariantCulture, $"<tr><th scope=\"row\">{row[0]}</th>");
            for (int i = 1; i < row.Length; i++)
            {
                html.Append(CultureInfo.InvariantCulture, $"<td{Class(i)}>{row[i]}</td>");
            }

            html.Append("</tr>\n");
        }

        return html.Append("</tbody></table></div>\n").ToString();

        string Class(int column) => column >= heads.Length - numbers ? " class=\"n\"" : "";
    }

    private static string Data(long value, string text) => string.Create(CultureInfo.InvariantCulture, $"<data value=\"{value}\">{text}</data>");

    /// <summary>Three digits or more.</summary>
    private static string Round(double value, string unit) =>
        string.Create(CultureInfo.InvariantCulture, $"{value.ToString(value >= 100 ? "0" : value >= 10 ? "0.#" : "0.##", CultureInfo.InvariantCulture)} {unit}");
}
