using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Large operations are cut into bios of at most 256 vectors, and their outcomes are joined.</content>
public sealed partial class BlockClientTests
{
    private const int MiB = 1 << 20;

    [Test]
    public async Task A_large_write_is_cut_at_256_pages([Values] ClientStyle style)
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        byte[] bytes = TestBytes.Of(seed: 1, (3 * MiB) + 512);
        byte[] stored = new byte[bytes.Length];
        Task<BioResult> write = new ClientCaller(new BlockClient(device), style).Write(1024, bytes);
        List<BioHead> bios = await server.AnswerUntil(write, request =>
        {
            Assert.That(VectorsOf(device, request.Id), Is.EqualTo(request.Length == MiB ? 256 : 1));
            request.Data.Span.CopyTo(stored.AsSpan((int)request.Offset - 1024));
            return BioResult.Ok;
        });

        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(bios.Select(bio => (bio.Op, bio.Offset, bio.Length)), Is.EqualTo(new[]
        {
            (BioOp.Write, 1024L, (long)MiB), (BioOp.Write, 1024L + MiB, MiB), (BioOp.Write, 1024L + (2 * MiB), MiB), (BioOp.Write, 1024L + (3 * MiB), 512),
        }));
        TestBytes.AssertSame(stored, bytes);
    }

    [Test]
    public async Task Hundreds_of_tiny_segments_make_bios_of_256_vectors([Values] ClientStyle style)
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        byte[] bytes = TestBytes.Of(seed: 1, 600 * 512);
        Task<BioResult> read = new ClientCaller(new BlockClient(device), style).ReadMany(0, TestBytes.Cut(bytes, Enumerable.Repeat(512, 600)));
        var vectors = new List<int>();
        List<BioHead> bios = await server.AnswerUntil(read, request =>
        {
            vectors.Add(VectorsOf(device, request.Id));
            TestBytes.Of(seed: 2, bytes.Length).AsSpan((int)request.Offset, (int)request.Length).CopyTo(request.Data.Span);
            return BioResult.Ok;
        });

        Assert.That(await read, Is.EqualTo(BioResult.Ok));
        Assert.That(string.Join(" ", vectors), Is.EqualTo("256 256 88"));
        Assert.That(bios.Select(bio => bio.Length / 512), Is.EqualTo(vectors));
        TestBytes.AssertSame(bytes, TestBytes.Of(seed: 2, bytes.Length));
    }

    [Test]
    public async Task Any_segments_arrive_whole_and_in_order_in_bios_that_keep_the_limits([Values] ClientStyle style, [Values] bool splitBlocks)
    {
        var random = new Random(ContractSeed.Next());
        for (int round = 0; round < 12; round++)
        {
            AbuseDevice device = Create();
            using var server = new ManualServer(device);
            int[] lengths = [.. Enumerable.Range(0, random.Next(1, 500)).Select(_ => random.Next(4) == 0 ? random.Next(0, 40) * 512 : random.Next(0, 3) * 512)];
            if (splitBlocks && lengths.Length > 2)
            {
                lengths[0] += 7;
                lengths[^1] += 505;
            }

            byte[] bytes = TestBytes.Of(round, lengths.Sum());
            Task<BioResult> write = new ClientCaller(new BlockClient(device), style).WriteMany(4096, TestBytes.Cut(bytes, lengths));
            byte[] stored = new byte[bytes.Length];
            long end = 4096;
            List<BioHead> bios = await server.AnswerUntil(write, request =>
            {
                Assert.That(request.Offset, Is.EqualTo(end), "bios of a device that serves in order come in order");
                Assert.That(request.Length, Is.InRange(512, MiB));
                Assert.That(VectorsOf(device, request.Id), Is.InRange(1, 256));
                Assert.That(request.Length % 512, Is.Zero);
                request.Data.Span.CopyTo(stored.AsSpan((int)(request.Offset - 4096)));
                end += request.Length;
                return BioResult.Ok;
            });
            Assert.That(await write, Is.EqualTo(BioResult.Ok));
            TestBytes.AssertSame(stored, bytes);
            int fewest = (lengths.Sum(length => (length + 4095) / 4096) + 255) / 256;
            Assert.That(bios, Has.Count.EqualTo(splitBlocks ? (bytes.Length + MiB - 1) / MiB : fewest).Or.Count.EqualTo(fewest + 1), "no more than are needed");
        }
    }

    [Test]
    public async Task At_most_eight_bios_of_one_operation_are_in_flight()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        Task<BioResult> read = new BlockClient(device).TryReadAsync(0, new byte[20 * MiB]).AsTask();
        BioRequest[] first = await server.Next(8);
        Assert.That(server.HasNothing);
        Assert.That(device.QueueSize, Is.EqualTo(8));
        first[0].Complete(BioResult.Ok);
        BioRequest ninth = await server.Next();
        Assert.That(ninth.Offset, Is.EqualTo(8 * MiB));
        device.Control.Reset();
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Offline));
    }

    [Test]
    public async Task The_first_failure_by_offset_counts_and_nothing_is_in_flight_when_it_is_told()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        Task<BioResult> read = new BlockClient(device).TryReadAsync(0, new byte[6 * MiB]).AsTask();
        BioRequest[] requests = await server.Next(6);
        BioResult[] answers = [BioResult.Ok, BioResult.Ok, BioResult.MediaFailure, BioResult.Ok, BioResult.NoSpace, BioResult.Timeout];
        for (int i = 5; i >= 0; i--)
        {
            Assert.That(read.IsCompleted, Is.False, $"{i + 1} are in flight");
            requests[i].Complete(answers[i]);
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(device.QueueSize, Is.Zero);
    }

    [Test]
    public async Task After_a_failure_no_more_bios_are_submitted_and_those_in_flight_are_waited_for()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        Task<BioResult> write = new BlockClient(device).TryWriteAsync(0, new byte[20 * MiB]).AsTask();
        BioRequest[] requests = await server.Next(8);
        requests[0].Complete(BioResult.MediaFailure);
        foreach (BioRequest request in requests[1..7])
        {
            request.Complete(BioResult.Ok);
        }

        await Task.Delay(20);
        Assert.That(write.IsCompleted, Is.False, "the buffer is still the device's");
        Assert.That(server.HasNothing);
        requests[7].Complete(BioResult.Ok);
        Assert.That(await write.InTime(), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(device.QueueSize, Is.Zero);
    }

    [Test]
    public async Task A_failure_of_a_large_operation_names_all_of_it()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        Task write = new BlockClient(device).WriteAsync(512, new byte[2 * MiB]).AsTask();
        (await server.Next()).Complete(BioResult.Ok);
        (await server.Next()).Complete(BioResult.MediaFailure);
        BlockIOException failure = Catch(() => write.InTime());
        Assert.That((failure.Result, failure.Offset, failure.Length), Is.EqualTo((BioResult.MediaFailure, 512L, 2L * MiB)));
    }

    /// <summary>How many vectors GET_BIO says a pending bio has.</summary>
    private static int VectorsOf(AbuseDevice device, ulong id)
    {
        for (int i = 0; i < 16; i++)
        {
            AbuseTransferHeader header = default;
            if (device.Control.GetBio(ref header) == Errno.None && header.Id == id)
            {
                return (int)header.VectorCount;
            }
        }

        throw new InvalidOperationException($"Bio {id} is not pending.");
    }
}
