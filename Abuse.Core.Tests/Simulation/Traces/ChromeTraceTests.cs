using System.Text.Json;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The timeline: valid JSON, a beginning and an end for each bio, a counter that counts, and instants.</summary>
[TestFixture]
internal sealed class ChromeTraceTests
{
    [Test]
    public async Task Every_bio_begins_and_ends_once_under_its_own_id([Range(1, 20)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        JsonElement[] events = await EventsAsync(trace);
        foreach (TracedBio bio in Enumerable.Range(0, trace.Count).Select(i => trace[i]))
        {
            JsonElement[] both = [.. events.Where(one => one.TryGetProperty("id", out JsonElement id) && id.GetString() == $"0x{bio.Index:x}")];
            Assert.That(both.Select(Phase), Is.EqualTo((string[])["b", "e"]), $"{bio}");
            Assert.That(both.Select(static one => (one.GetProperty("cat").GetString(), one.GetProperty("name").GetString())), Is.All.EqualTo(($"{bio.Op}", $"{bio.Op}")));
            Assert.That(Time(both[0]), Is.EqualTo(bio.SubmittedAt));
            Assert.That(bio.CompletedAt is null ? Time(both[1]) >= Time(both[0]) : Time(both[1]) == bio.CompletedAt, $"{bio}");
            Assert.That(both[1].GetProperty("args").GetProperty("result").GetString(), Is.EqualTo($"{bio.Result}"));
            Assert.That(both[0].GetProperty("args").GetProperty("offset").GetInt64(), Is.EqualTo(bio.Offset));
            Assert.That(both[0].GetProperty("args").TryGetProperty("from", out _), Is.EqualTo(bio.CallSite is not null));
        }

        Assert.That(events.Count(static one => Phase(one) is "b" or "e"), Is.EqualTo(2 * trace.Count));
    }

    [Test]
    public async Task The_counter_says_how_many_are_in_flight([Range(1, 20)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        int inFlight = 0, most = 0;
        foreach (JsonElement one in await EventsAsync(trace))
        {
            switch (Phase(one))
            {
                case "b":
                    inFlight++;
                    break;
                case "e" when one.GetProperty("args").GetProperty("result").GetString() != "Pending":
                    inFlight--;
                    break;
                case "C":
                    Assert.That(one.GetProperty("args").GetProperty("bios").GetInt32(), Is.EqualTo(inFlight));
                    most = Math.Max(most, inFlight);
                    break;
            }
        }

        Assert.That(inFlight, Is.EqualTo(Enumerable.Range(0, trace.Count).Count(i => trace[i].Completed is null)));
        Assert.That(most, Is.GreaterThan(2));
    }

    [Test]
    public async Task Flushes_marks_and_faults_are_instants([Range(1, 20)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        JsonElement[] instants = [.. (await EventsAsync(trace)).Where(static one => Phase(one) == "i")];
        Assert.That(Of("mark"), Is.EqualTo(trace.Marks.Select(static mark => (mark.Text, mark.At))));
        Assert.That(Of("fault"), Is.EqualTo(trace.Faults.Select(static fault => ($"fault {fault.Id}: {fault.Effect}", fault.At))));
        Assert.That(Of("flush").Select(static one => one.At), Is.EquivalentTo(Enumerable.Range(0, trace.Count)
            .Select(i => trace[i]).Where(static bio => bio is { Op: BioOp.Flush, Completed: not null }).Select(static bio => bio.CompletedAt!.Value)));
        Assert.That(instants.Select(static one => one.GetProperty("s").GetString()), Is.All.EqualTo("p"));

        IEnumerable<(string? Name, TimeSpan At)> Of(string category) => instants
            .Where(one => one.GetProperty("cat").GetString() == category).Select(static one => (one.GetProperty("name").GetString(), Time(one)));
    }

    /// <summary>What a viewer needs of every event.</summary>
    [Test]
    public async Task Every_event_has_a_name_a_phase_a_process_and_a_time()
    {
        foreach (JsonElement one in await EventsAsync(RandomTrace.Of(3)))
        {
            Assert.That(one.GetProperty("name").GetString(), Is.Not.Empty);
            Assert.That(one.GetProperty("pid").GetInt32(), Is.EqualTo(1));
            Assert.That(Phase(one) == "M" || one.GetProperty("ts").ValueKind == JsonValueKind.Number);
        }
    }

    [Test]
    public async Task It_is_written_as_it_grows_and_the_stream_stays_open()
    {
        using var stream = new MeasuredStream();
        await ChromeTrace.WriteAsync(RandomTrace.Of(1, bios: 5000), stream);
        Assert.That(stream.Length, Is.GreaterThan(1 << 20));
        Assert.That(stream.Longest, Is.LessThan(128 << 10));
    }

    private static async Task<JsonElement[]> EventsAsync(BlockTrace trace)
    {
        using var stream = new MemoryStream();
        await ChromeTrace.WriteAsync(trace, stream);
        using JsonDocument json = JsonDocument.Parse(stream.ToArray());
        Assert.That(json.RootElement.GetProperty("otherData").TryGetProperty("seed", out JsonElement seed) ? seed.GetString() : null, Is.EqualTo(trace.Seed?.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        return [.. json.RootElement.GetProperty("traceEvents").EnumerateArray().Select(static one => one.Clone())];
    }

    private static string? Phase(JsonElement one) => one.GetProperty("ph").GetString();

    private static TimeSpan Time(JsonElement one) => TimeSpan.FromTicks((long)(one.GetProperty("ts").GetDecimal() * 10));

    private sealed class MeasuredStream : MemoryStream
    {
        internal int Longest { get; private set; }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Longest = Math.Max(Longest, buffer.Length);
            return base.WriteAsync(buffer, cancellationToken);
        }
    }
}
