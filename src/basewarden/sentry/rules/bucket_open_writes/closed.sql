DROP POLICY "Upload" ON storage.objects;
CREATE POLICY "Upload" ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'avatars' AND owner = auth.uid());
