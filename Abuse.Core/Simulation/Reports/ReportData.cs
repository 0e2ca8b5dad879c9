using System.Text;
using System.Text.Json;

namespace Abuse.Core;

/// <summary>What the page's script draws, as JSON with columns of numbers: it computes nothing that a reader could compare.</summary>
internal static class ReportData
{
    /// <summary>Texts longer than this are cut in the pictures; tables have them whole.</summary>
    private const int MostText = 400;

    internal static string Write(ReportFigures figures)
    {
        using var buffer = new MemoryStream();

        // The default encoder escapes what HTML would take for a tag.
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteBoolean("byEvents", figures.Events.IsByEvents);
            json.WriteNumber("events", figures.Events.Count);
            WriteEvents(json, figures);
            WriteBios(json, figures);
            WriteParts(json, figures);
            WriteLatencies(json, figures);
            WriteMarks(json, figures);
            WriteFaults(json, figures);
            WriteFailure(json, figures);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static void WriteEvents(Utf8JsonWriter json, ReportFigures figures)
    {
        var time = new ColumnWriter();
        var depth = new ColumnWriter();
        var risk = new ColumnWriter();
        for (int i = 0; i < figures.Events.Count; i++)
        {
            time.AddChange(figures.Events.Ticks(i));
            depth.AddChange(figures.Depth.After[i]);
            risk.AddChange(figures.Risk.After[i]);
        }

        json.WriteString("time", time.ToBase64());
        json.WriteString("depth", depth.ToBase64());
        json.WriteString("risk", risk.ToBase64());
        json.WriteNumber("maxDepth", figures.Depth.Max);
        json.WriteNumber("maxRisk", figures.Risk.Max);
    }

    private static void WriteBios(Utf8JsonWriter json, ReportFigures figures)
    {
        var index = new ColumnWriter();
        var kind = new ColumnWriter();
        var result = new ColumnWriter();
        var offset = new ColumnWriter();
        var length = new ColumnWriter();
        var submitted = new ColumnWriter();
        var took = new ColumnWriter();
        var site = new ColumnWriter();
        var sites = new Dictionary<string, int>();
        long unit = Array.TrueForAll(figures.Bios, bio => (figures.Trace[bio].Offset | figures.Trace[bio].Length) % BlockGeometry.SectorSize == 0)
            ? BlockGeometry.SectorSize
            : 1;
        foreach (int number in figures.Bios)
        {
            TracedBio bio = figures.Trace[number];
            index.AddChange(number);
            kind.Add(((long)bio.Op << 1) | (bio.Fua ? 1L : 0));
            result.Add((long)bio.Result);
            offset.AddChange(bio.Offset / unit);
            length.Add(bio.Length / unit);
            submitted.AddChange(bio.Submitted);
            took.Add(bio.Completed - bio.Submitted ?? 0);
            site.Add(Site(bio.CallSite));
        }

        json.WriteNumber("bios", figures.Bios.Length);
        json.WriteNumber("unit", unit);
        json.WriteString("index", index.ToBase64());
        json.WriteString("kind", kind.ToBase64());
        json.WriteString("result", result.ToBase64());
        json.WriteString("offset", offset.ToBase64());
        json.WriteString("length", length.ToBase64());
        json.WriteString("submitted", submitted.ToBase64());
        json.WriteString("took", took.ToBase64());
        json.WriteString("site", site.ToBase64());
        WriteTexts(json, "sites", sites.Keys.Prepend(""));
        WriteTexts(json, "results", Enum.GetNames<BioResult>());

        int Site(string? text)
        {
            if (text is null)
            {
                return 0;
            }

            if (!sites.TryGetValue(text, out int known))
            {
                sites.Add(text, known = sites.Count + 1);
            }

            return known;
        }
    }

    private static void WriteParts(Utf8JsonWriter json, ReportFigures figures)
    {
        json.WriteStartArray("parts");
        foreach ((long start, long end) in OffsetScale.Of(figures.Trace))
        {
            json.WriteStartArray();
            json.WriteNumberValue(start);
            json.WriteNumberValue(end);
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static void WriteLatencies(Utf8JsonWriter json, ReportFigures figures)
    {
        json.WriteStartArray("latencies");
        foreach (LatencyFigures one in figures.Latencies)
        {
            json.WriteStartObject();
            json.WriteNumber("op", (int)one.Op);
            json.WriteNumber("count", one.Count);
            WriteNumbers(json, "values", [one.Min, .. LatencyFigures.Percentiles.ToArray().Select(one.Percentile), one.Max]);
            (long Latency, int Count)[] points = [.. one.Distribution()];
            WriteNumbers(json, "latency", points.Select(static point => point.Latency));
            WriteNumbers(json, "upTo", points.Select(static point => (long)point.Count));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteMarks(Utf8JsonWriter json, ReportFigures figures)
    {
        WriteNumbers(json, "marks", figures.Trace.Marks.Select(static mark => mark.Event - 1));
        WriteTexts(json, "markTexts", figures.Trace.Marks.Select(static mark => mark.Text));
    }

    private static void WriteFaults(Utf8JsonWriter json, ReportFigures figures)
    {
        WriteNumbers(json, "faultBios", figures.FaultBios.Select(static bio => (long)bio));
        WriteTexts(json, "faultTexts", figures.Trace.Faults.Select(static fault => fault.ToString()));
    }

    private static void WriteFailure(Utf8JsonWriter json, ReportFigures figures)
    {
        if (figures.CrashPoint is { } point && figures.Exploration!.Failure is { } failure)
        {
            json.WriteNumber("crash", point);
            WriteNumbers(json, "lost", failure.Crashes[0].Lost.Select(static bio => (long)bio.Index));
            WriteNumbers(json, "landed", failure.Crashes[0].Landed.Select(static bio => (long)bio.Index));
        }
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
        {
            json.WriteStringValue(ReportText.Clean(text.Length > MostText ? string.Concat(text.AsSpan(0, MostText), "…") : text));
        }

        json.WriteEndArray();
    }
}
