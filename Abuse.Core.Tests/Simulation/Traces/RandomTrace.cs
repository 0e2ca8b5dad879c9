using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Traces of any shape, always the same for a seed, and their comparison.</summary>
internal static class RandomTrace
{
    internal const int Size = 32 << 10;

    private static readonly BioResult[] Failures = [BioResult.IoError, BioResult.MediaFailure, BioResult.NoSpace, BioResult.Canceled];

    /// <summary>
    /// Bios that overlap in time and place, a few of them failed or never answered, with marks, gaps, times, call sites and faults, on a disk
    /// that held something.
    /// </summary>
    internal static BlockTrace Of(int seed, int bios = 40, bool fails = true, int unit = 512)
    {
        var random = new Random(seed);
        var log = new TraceLog();
        var marks = new List<TraceMark>();
        var inFlight = new List<int>();
        long events = 0;
        var time = TimeSpan.Zero;
        while (log.Count < bios || (!fails && inFlight.Count != 0))
        {
            time += TimeSpan.FromTicks(random.Next(2000));
            int kind = random.Next(20);
            if (kind == 0)
            {
                marks.Add(new TraceMark { Event = ++events, At = time, Text = $"mark {marks.Count} äöü" });
            }
            else if (kind == 1 && fails)
            {
                events++;
            }
            else if (kind < 11 && log.Count < bios)
            {
                byte[] data = TestBytes.Of(random.Next(20), unit * random.Next(1, 4));
                inFlight.Add(log.Add(Head(random, data.Length, unit), new BioSpans(data), events++, time, random.Next(3) == 0 ? $"Program.Main (p.cs:{random.Next(9)})" : null));
            }
            else if (inFlight.Count != 0 && (!fails || random.Next(5) != 0))
            {
                int which = random.Next(inFlight.Count);
                log.Complete(inFlight[which], events++, time, fails && random.Next(8) == 0 ? Failures[random.Next(Failures.Length)] : BioResult.Ok);
                inFlight.RemoveAt(which);
            }
        }

        return new BlockTrace(new BlockGeometry(Size) { Features = BlockFeatures.All, AtomicUnit = unit, IsRotational = seed % 2 == 0 }, Content(random), log, marks, events)
        {
            Faults = [.. Enumerable.Range(1, seed % 4).Select(id => Fault(random, id))],
            Seed = seed % 3 == 0 ? null : ulong.MaxValue - (ulong)seed,
            Tape = seed % 5 == 0 ? null : $"tape of {seed}\n0 1 2 ∞",
        };
    }

    /// <summary>The trace in its own format.</summary>
    internal static async Task<byte[]> SaveAsync(BlockTrace trace)
    {
        using var stream = new MemoryStream();
        await trace.SaveAsync(stream);
        return stream.ToArray();
    }

    internal static void AssertSame(BlockTrace actual, BlockTrace expected)
    {
        Assert.That(actual.Count, Is.EqualTo(expected.Count));
        Assert.That(actual.Events, Is.EqualTo(expected.Events));
        Assert.That(actual.Marks, Is.EqualTo(expected.Marks));
        AssertSameBut(actual, expected);
    }

    /// <summary>That a trace is what had happened until a moment of another.</summary>
    internal static void AssertPrefix(BlockTrace actual, BlockTrace expected)
    {
        Assert.That(actual.Count, Is.EqualTo(Enumerable.Range(0, expected.Count).Count(i => expected[i].Submitted < actual.Events)));
        Assert.That(actual.Marks, Is.EqualTo(expected.Marks.Where(mark => mark.Event <= actual.Events)));
        if (actual.Events != 0)
        {
            AssertSameBut(actual, expected);
        }
    }

    /// <summary>All but the counts, of as many bios as there are.</summary>
    private static void AssertSameBut(BlockTrace actual, BlockTrace expected)
    {
        Assert.That((actual.Geometry, actual.Seed, actual.Tape), Is.EqualTo((expected.Geometry, expected.Seed, expected.Tape)));
        Assert.That(actual.Faults, Is.EqualTo(expected.Faults));
        for (int i = 0; i < actual.Count; i++)
        {
            TracedBio bio = expected[i].Completed < actual.Events ? expected[i] : expected[i] with { Completed = null, CompletedAt = null, Result = BioResult.Pending };
            Assert.That(actual[i] with { Data = default }, Is.EqualTo(bio with { Data = default }));
            TestBytes.AssertSame(actual[i].Data.Span, bio.Data.Span, $"bio {i}");
        }

        TestBytes.AssertSame(ContentOf(actual), ContentOf(expected), "initial content");
    }

    /// <summary>What the disk held at the start.</summary>
    internal static byte[] ContentOf(BlockTrace trace)
    {
        byte[] content = new byte[trace.Geometry.Size];
        for (int page = 0; page < trace.Initial.Pages; page++)
        {
            int start = page * PageStore.PageSize;
            trace.Initial.Find(page)?.AsSpan(0, Math.Min(PageStore.PageSize, content.Length - start)).CopyTo(content.AsSpan(start));
        }

        return content;
    }

    private static BioHead Head(Random random, int length, int unit)
    {
        BioOp op = random.Next(10) switch { < 5 => BioOp.Write, < 7 => BioOp.Flush, 7 => BioOp.Read, 8 => BioOp.Discard, _ => BioOp.WriteZeroes };
        return new BioHead { Op = op, Offset = unit * (long)random.Next((Size - length) / unit), Length = length, Fua = op == BioOp.Write && random.Next(4) == 0 };
    }

    private static PageStore Content(Random random)
    {
        var content = new PageStore(Size);
        for (int page = 0; page < content.Pages; page++)
        {
            if (random.Next(3) != 0)
            {
                TestBytes.Of(random.Next(2), PageStore.PageSize).CopyTo(content.Own(page));
            }
        }

        return content;
    }

    private static InjectedFault Fault(Random random, int id) => new()
    {
        Id = id,
        Rule = random.Next(3),
        Ordinal = random.Next(100),
        Effect = (FaultEffect)random.Next(16),
        At = TimeSpan.FromTicks(random.Next(10000)),
        Op = BioOp.Write,
        Offset = 512 * random.Next(10),
        Length = 512,
        DamagedOffset = random.Next(2) - 1,
        DamagedLength = random.Next(512),
    };
}
