using System.Globalization;
using System.Text.Json;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What libnbd's nbdinfo makes of what the server says of its exports.</summary>
[TestFixture]
internal sealed class NbdInfoTests
{
    private const BlockFeatures All = BlockFeatures.All;

    [TestCase(Road.UnixSocket)]
    [TestCase(Road.Tcp)]
    public async Task Size_and_properties_are_told(Road road)
    {
        await using var disk = new ServedDisk([(new MemoryTarget(8 << 20, 4096), "", "a disk of the tests: ü", true)], road);
        Assert.That((await InfoAsync("--size", disk.Uri)).Trim(), Is.EqualTo("8388608"));
        using JsonDocument said = JsonDocument.Parse(await InfoAsync("--json", disk.Uri));
        JsonElement export = said.RootElement.GetProperty("exports")[0];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(said.RootElement.GetProperty("protocol").GetString(), Is.EqualTo("newstyle-fixed"));
            Assert.That(said.RootElement.GetProperty("TLS").GetBoolean(), Is.False);
            Assert.That(said.RootElement.GetProperty("structured").GetBoolean(), Is.True);
            Assert.That(export.GetProperty("export-name").GetString(), Is.Empty);
            Assert.That(export.GetProperty("description").GetString(), Is.EqualTo("a disk of the tests: ü"));
            Assert.That(export.GetProperty("export-size").GetInt64(), Is.EqualTo(8 << 20));
            Assert.That(export.GetProperty("contexts").EnumerateArray().Select(static context => context.GetString()), Is.EqualTo(["base:allocation"]));
            Assert.That(export.GetProperty("block_size_minimum").GetInt32(), Is.EqualTo(4096));
            Assert.That(export.GetProperty("block_size_preferred").GetInt32(), Is.GreaterThanOrEqualTo(4096));
            Assert.That(export.GetProperty("block_size_maximum").GetInt32(), Is.EqualTo(32 << 20));
            Assert.That(export.GetProperty("is_read_only").GetBoolean(), Is.False);
        }
    }

    [Test]
    public async Task All_exports_are_listed_with_their_descriptions()
    {
        string longest = string.Concat(Enumerable.Repeat("ab", 2000));
        await using var disk = new ServedDisk(
        [
            (new MemoryTarget(1 << 20), "one", "the first", true),
            (new MemoryTarget(2 << 20), "two words", null, false),
            (new MemoryTarget(3 << 20), longest, "its name is long", false),
        ]);
        using JsonDocument said = JsonDocument.Parse(await InfoAsync("--list", "--json", disk.UriOf("")));
        var listed = said.RootElement.GetProperty("exports").EnumerateArray()
            .Select(static export => (
                Name: export.GetProperty("export-name").GetString(),
                Description: export.TryGetProperty("description", out JsonElement description) ? description.GetString() : null,
                Size: export.GetProperty("export-size").GetInt64(),
                IsReadOnly: export.GetProperty("is_read_only").GetBoolean()))
            .ToArray();
        Assert.That(listed, Is.EquivalentTo(new (string?, string?, long, bool)[]
        {
            ("one", "the first", 1 << 20, false),
            ("two words", null, 2 << 20, true),
            (longest, "its name is long", 3 << 20, true),
        }));
    }

    [Test]
    public async Task An_export_is_had_by_its_name_and_another_name_is_refused_with_a_reason()
    {
        await using var disk = new ServedDisk([(new MemoryTarget(1 << 20), "one", null, true), (new MemoryTarget(2 << 20), "two", null, true)]);
        Assert.That((await InfoAsync("--size", disk.UriOf("two"))).Trim(), Is.EqualTo("2097152"));
        Assert.That((await InfoAsync("--size", disk.UriOf(""))).Trim(), Is.EqualTo("1048576"), "the default is the first");
        (int status, string output) = await ClientProgram.TryAsync("libnbd-bin", "nbdinfo", "--size", disk.UriOf("three"));
        Assert.That(status, Is.Not.Zero, output);
        Assert.That(output, Does.Contain("three").And.Not.Contain("Broken pipe"), output);
    }

    [TestCase("--can", "connect", All, ExpectedResult = true)]
    [TestCase("--can", "read", All, ExpectedResult = true)]
    [TestCase("--can", "write", All, ExpectedResult = true)]
    [TestCase("--can", "structured reply", All, ExpectedResult = true)]
    [TestCase("--can", "cache", All, ExpectedResult = true)]
    [TestCase("--can", "df", All, ExpectedResult = true)]
    [TestCase("--can", "multi-conn", All, ExpectedResult = true)]
    [TestCase("--can", "flush", All, ExpectedResult = true)]
    [TestCase("--can", "fua", All, ExpectedResult = true)]
    [TestCase("--can", "trim", All, ExpectedResult = true)]
    [TestCase("--can", "trim", All & ~BlockFeatures.Discard, ExpectedResult = false)]
    [TestCase("--can", "zero", All, ExpectedResult = true)]
    [TestCase("--can", "fast-zero", All, ExpectedResult = true)]
    [TestCase("--is", "read-only", All, ExpectedResult = false)]
    [TestCase("--is", "rotational", All, ExpectedResult = false)]
    [TestCase("--is", "tls", All, ExpectedResult = false)]
    public async Task<bool> What_the_device_can_is_what_the_client_sees(string option, string what, BlockFeatures features)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(1 << 20), features));
        return await AskAsync(disk, option, what);
    }

    [Test]
    public async Task A_read_only_export_takes_no_writes_and_a_rotating_disk_says_so()
    {
        await using (var disk = new ServedDisk(new MemoryTarget(1 << 20), writable: false))
        {
            Assert.That(await AskAsync(disk, "--is", "read-only"), Is.True);
            Assert.That(await AskAsync(disk, "--can", "write"), Is.False);
            Assert.That(await AskAsync(disk, "--can", "trim"), Is.False);
        }

        var rotating = new ScriptedTarget { Shape = static () => new BlockGeometry(1 << 20) { IsRotational = true } };
        await using (var disk = new ServedDisk(rotating))
        {
            Assert.That(await AskAsync(disk, "--is", "rotational"), Is.True);
        }
    }

    [TestCase(Road.UnixSocket)]
    [TestCase(Road.Tcp)]
    public async Task The_map_is_the_holes_of_the_target(Road road)
    {
        await using var disk = new ServedDisk(HoleyImage.Target(), road);
        Assert.That(await MapAsync(disk), Is.EqualTo(HoleyImage.Extents));
    }

    [Test]
    public async Task The_map_follows_writes_discards_and_zeroes()
    {
        await using var disk = new ServedDisk(new MemoryTarget(1 << 20));
        var client = new BlockClient(disk.Device);
        Assert.That(await MapAsync(disk), Is.EqualTo([new BlockExtent(0, 1 << 20, IsHole: true)]));
        client.Write(256 << 10, TestBytes.Of(1, 256 << 10));
        Assert.That(await MapAsync(disk), Is.EqualTo([
            new BlockExtent(0, 256 << 10, IsHole: true), new BlockExtent(256 << 10, 256 << 10, IsHole: false), new BlockExtent(512 << 10, 512 << 10, IsHole: true)]));
        client.Discard(320 << 10, 64 << 10);
        Assert.That((await MapAsync(disk)).Count(static extent => !extent.IsHole), Is.EqualTo(2));
    }

    [Test]
    public async Task The_map_of_a_vast_disk_is_told_in_requests_that_the_client_can_make()
    {
        const long Size = 1L << 40;
        var target = new MemoryTarget(Size);
        HoleyImage.Write(target, (5L << 32) + (64 << 10), TestBytes.Of(1, 64 << 10));
        HoleyImage.Write(target, Size - (64 << 10), TestBytes.Of(2, 64 << 10));
        await using var disk = new ServedDisk(target);
        Assert.That((await InfoAsync("--size", disk.Uri)).Trim(), Is.EqualTo(Size.ToString(CultureInfo.InvariantCulture)));
        BlockExtent[] map = await MapAsync(disk);
        Assert.That(map.Where(static extent => !extent.IsHole), Is.EqualTo([
            new BlockExtent((5L << 32) + (64 << 10), 64 << 10, IsHole: false), new BlockExtent(Size - (64 << 10), 64 << 10, IsHole: false)]));
        Assert.That(map.Sum(static extent => extent.Length), Is.EqualTo(Size));
    }

    [Test]
    public async Task A_client_that_leaves_is_said_to_have_left()
    {
        await using var disk = new ServedDisk(new MemoryTarget(1 << 20), name: "one");
        await InfoAsync("--size", disk.Uri);
        await Soon.Until(() => disk.Server.Statistics.Connections == 0 && !disk.Ends.IsEmpty, "the connection's end is known");
        Assert.That(disk.Ends.Select(static end => (end.Reason, end.Export)), Is.All.EqualTo((DisconnectReason.PeerLeft, "one")));
    }

    private static Task<string> InfoAsync(params string[] arguments) => ClientProgram.RunAsync("libnbd-bin", "nbdinfo", arguments);

    /// <summary>nbdinfo ends with 0 for yes and 2 for no.</summary>
    private static async Task<bool> AskAsync(ServedDisk disk, string option, string what)
    {
        (int status, string output) = await ClientProgram.TryAsync("libnbd-bin", "nbdinfo", option, what, disk.Uri);
        Assert.That(status, Is.AnyOf(0, 2), output);
        return status == 0;
    }

    private static async Task<BlockExtent[]> MapAsync(ServedDisk disk)
    {
        using JsonDocument said = JsonDocument.Parse(await InfoAsync("--map", "--json", disk.Uri));
        return [.. said.RootElement.EnumerateArray().Select(static extent =>
        {
            string what = extent.GetProperty("description").GetString()!;
            Assert.That(what, Is.AnyOf("hole,zero", "data"));
            return new BlockExtent(extent.GetProperty("offset").GetInt64(), extent.GetProperty("length").GetInt64(), what == "hole,zero");
        })];
    }
}
